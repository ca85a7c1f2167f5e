"""The operators of ai.onnx.ml: each takes a matrix whose axis 0 is rows and axis 1 features."""

from collections.abc import Sequence

from trtasync.rows.proof.calls import RULES, Call
from trtasync.rows.proof.tensors import NotProved, Tensor, Value

ML = "ai.onnx.ml"


def features(call: Call) -> Tensor:
    tensor = call.data()
    if tensor.rank != 2 or (tensor.layout is not None and tensor.layout.axis != 0):
        raise NotProved("takes rows for features")
    return tensor


@RULES.of("LinearClassifier", "SVMClassifier", "TreeEnsembleClassifier", domain=ML)
def classifier(call: Call) -> Sequence[Value]:
    tensor = features(call)
    rows = tensor.dims[0]
    return [tensor.reshaped((rows,)), tensor.reshaped((rows, call.symbols.fresh()))]


@RULES.of(*("LinearRegressor", "SVMRegressor", "TreeEnsemble", "TreeEnsembleRegressor"), domain=ML)
def regressor(call: Call) -> Sequence[Value]:
    tensor = features(call)
    return [tensor.reshaped((tensor.dims[0], call.symbols.fresh()))]


@RULES.of("Normalizer", "Imputer", "Scaler", domain=ML)
def scaler(call: Call) -> Sequence[Value]:
    return [features(call).like()]


@RULES.of("OneHotEncoder", domain=ML)
def one_hot_encoder(call: Call) -> Sequence[Value]:
    tensor = call.data()
    return [tensor.reshaped((*tensor.dims, call.symbols.fresh()))]


@RULES.of("FeatureVectorizer", domain=ML)
def feature_vectorizer(call: Call) -> Sequence[Value]:
    tensors = call.all_data()
    if any(each.rank != 2 or each.layout != tensors[0].layout for each in tensors):
        raise NotProved("takes rows for features")
    tensor = features(call)
    return [tensor.reshaped((tensor.dims[0], call.symbols.fresh()))]
