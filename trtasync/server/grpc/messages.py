"""The messages of the Open Inference Protocol and Triton's, and those of gRPC's health service.

Names and numbers are the protocols' own; see `descriptors` for how a field is written. Triton's
ModelConfig has only what `protocol.descriptions` tells.
"""

from trtasync.server.grpc.descriptors import Messages

_DURATIONS = ", ".join(
    f"StatisticDuration {name} {number}"
    for number, name in enumerate(
        (
            *("success", "fail", "queue", "compute_input", "compute_infer", "compute_output"),
            *("cache_hit", "cache_miss"),
        ),
        start=1,
    )
)

INFERENCE: Messages = Messages(
    "inference",
    {
        "ServerLiveRequest": "",
        "ServerLiveResponse": "bool live 1",
        "ServerReadyRequest": "",
        "ServerReadyResponse": "bool ready 1",
        "ServerMetadataRequest": "",
        "ServerMetadataResponse": "string name 1, string version 2, string* extensions 3",
        "ModelReadyRequest": "string name 1, string version 2",
        "ModelReadyResponse": "bool ready 1",
        "ModelMetadataRequest": "string name 1, string version 2",
        "ModelMetadataResponse": """string name 1, string* versions 2, string platform 3,
            TensorMetadata* inputs 4, TensorMetadata* outputs 5""",
        "TensorMetadata": "string name 1, string datatype 2, int64* shape 3",
        "InferParameter": """bool bool_param 1 | int64 int64_param 2 | string string_param 3
            | double double_param 4 | uint64 uint64_param 5""",
        "InferTensorContents": """bool* bool_contents 1, int32* int_contents 2,
            int64* int64_contents 3, uint32* uint_contents 4, uint64* uint64_contents 5,
            float* fp32_contents 6, double* fp64_contents 7, bytes* bytes_contents 8""",
        "InferInputTensor": """string name 1, string datatype 2, int64* shape 3,
            InferParameter{} parameters 4, InferTensorContents contents 5""",
        "InferRequestedOutputTensor": "string name 1, InferParameter{} parameters 2",
        "InferOutputTensor": """string name 1, string datatype 2, int64* shape 3,
            InferParameter{} parameters 4, InferTensorContents contents 5""",
        "ModelInferRequest": """string model_name 1, string model_version 2, string id 3,
            InferParameter{} parameters 4, InferInputTensor* inputs 5,
            InferRequestedOutputTensor* outputs 6, bytes* raw_input_contents 7""",
        "ModelInferResponse": """string model_name 1, string model_version 2, string id 3,
            InferParameter{} parameters 4, InferOutputTensor* outputs 5,
            bytes* raw_output_contents 6""",
        "ModelStreamInferResponse": "string error_message 1, ModelInferResponse infer_response 2",
        "ModelConfigRequest": "string name 1, string version 2",
        "ModelConfigResponse": "ModelConfig config 1",
        "ModelConfig": """string name 1, string platform 2, int32 max_batch_size 4,
            ModelInput* input 5, ModelOutput* output 6, ModelDynamicBatching dynamic_batching 11,
            ModelTransactionPolicy model_transaction_policy 19""",
        "ModelInput": """string name 1, DataType data_type 2, int64* dims 4,
            bool is_shape_tensor 6, bool optional 8""",
        "ModelOutput": """string name 1, DataType data_type 2, int64* dims 3,
            bool is_shape_tensor 6""",
        "ModelDynamicBatching": "",
        "ModelTransactionPolicy": "bool decoupled 1",
        "ModelStatisticsRequest": "string name 1, string version 2",
        "ModelStatisticsResponse": "ModelStatistics* model_stats 1",
        "ModelStatistics": """string name 1, string version 2, uint64 inference_count 4,
            uint64 execution_count 5, InferStatistics inference_stats 6,
            InferBatchStatistics* batch_stats 7""",
        "StatisticDuration": "uint64 count 1, uint64 ns 2",
        "InferStatistics": _DURATIONS,
        "InferBatchStatistics": """uint64 batch_size 1, StatisticDuration compute_input 2,
            StatisticDuration compute_infer 3, StatisticDuration compute_output 4""",
        "RepositoryIndexRequest": "string repository_name 1, bool ready 2",
        "RepositoryIndexResponse": "ModelIndex* models 1",
        "ModelIndex": "string name 1, string version 2, string state 3, string reason 4",
        "ModelRepositoryParameter": """bool bool_param 1 | int64 int64_param 2
            | string string_param 3 | bytes bytes_param 4""",
        "RepositoryModelLoadRequest": """string repository_name 1, string model_name 2,
            ModelRepositoryParameter{} parameters 3""",
        "RepositoryModelLoadResponse": "",
        "RepositoryModelUnloadRequest": """string repository_name 1, string model_name 2,
            ModelRepositoryParameter{} parameters 3""",
        "RepositoryModelUnloadResponse": "",
    },
    {
        "DataType": (
            *("TYPE_INVALID", "TYPE_BOOL", "TYPE_UINT8", "TYPE_UINT16", "TYPE_UINT32"),
            *("TYPE_UINT64", "TYPE_INT8", "TYPE_INT16", "TYPE_INT32", "TYPE_INT64", "TYPE_FP16"),
            *("TYPE_FP32", "TYPE_FP64", "TYPE_STRING", "TYPE_BF16"),
        )
    },
)

HEALTH: Messages = Messages(
    "grpc.health.v1",
    {
        "HealthCheckRequest": "string service 1",
        "HealthCheckResponse": "ServingStatus status 1",
    },
    {"ServingStatus": ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")},
)
