"""The one answer to "is this the same problem?" and "is this the same configuration?"."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from npu_tune.space import Configuration, SearchSpace, Value

SCHEMA_VERSION = 2
"""Of keys and of what a trial records. Version 1 hashed the changes against the default alone."""

READABLE_VERSIONS = (1, SCHEMA_VERSION)
"""Versions of studies that can still be read and resumed."""


@dataclass(frozen=True)
class Identity:
    """What a problem is: two problems of one identity give equal evaluations.

    Args:
        model_sha256: of the model file.
        target: the target's name.
        fingerprint: everything else that an evaluation depends on, by name: compiler version,
            system description, every hardware variant that can be chosen, options.
        schema_version: of keys; evaluations of another version never answer for new ones.
    """

    model_sha256: str
    target: str
    fingerprint: Mapping[str, str]
    schema_version: int = SCHEMA_VERSION

    def to_dict(self) -> dict[str, Any]:
        """JSON values, the way ledgers and recordings keep them."""
        return {
            "schema_version": self.schema_version,
            "model_sha256": self.model_sha256,
            "target": self.target,
            "target_fingerprint": dict(self.fingerprint),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Identity:
        """Reads what :meth:`to_dict` wrote; other keys are passed over."""
        return cls(
            document["model_sha256"],
            document["target"],
            document["target_fingerprint"],
            document["schema_version"],
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the whole identity, in hexadecimal."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def differences(self, stored: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
        """Yields what a stored identity has differently: label, stored value, own value.

        Args:
            stored: as :meth:`to_dict` wrote it. Of one of an earlier schema version, parts of the
                fingerprint that did not exist yet are passed over.
        """
        version = stored.get("schema_version")
        if version not in READABLE_VERSIONS:
            yield "version of the contents", version, self.schema_version
        for key, label, own in (
            ("model_sha256", "model (SHA-256)", self.model_sha256),
            ("target", "target", self.target),
        ):
            if stored.get(key) != own:
                yield label, stored.get(key), own
        was = dict(stored.get("target_fingerprint") or {})
        earlier = version != self.schema_version
        for part in sorted(was.keys() | self.fingerprint.keys()):
            if earlier and part not in was:
                continue
            if was.get(part) != self.fingerprint.get(part):
                yield f"target's {part}", was.get(part), self.fingerprint.get(part)


@dataclass(frozen=True)
class ConfigurationKeys:
    """Makes the key under which the evaluation of a configuration is known.

    A key is a digest of the problem's identity and of the whole effective configuration, so that
    another model, compiler version, system description or default can never be answered with a
    stale number.

    Args:
        identity: of the problem.
        space: finds the effective configuration.
    """

    identity: Identity
    space: SearchSpace
    _texts: dict[tuple[str, Value], bytes] = field(default_factory=dict, repr=False, compare=False)

    def key(self, configuration: Configuration) -> str:
        """The key: the same for every configuration with the same effective one."""
        return self.key_of_effective(self.space.effective(configuration))

    def key_of_effective(self, effective: Configuration) -> str:
        """The key of a configuration that is known to be its own effective one."""
        texts = self._texts
        try:
            parts = [texts[item] for item in effective.items_]
        except KeyError:
            parts = [texts.get(item) or self._learn(*item) for item in effective.items_]
        digest = hashlib.sha256(self._start)
        digest.update(b"".join(parts))
        return digest.hexdigest()[:32]

    @cached_property
    def _start(self) -> bytes:
        return self.identity.digest.encode()

    def _learn(self, name: str, value: Value) -> bytes:
        knob = self.space.by_name.get(name)
        # Python takes 1, 1.0 and True for one another: the knob's own value is written.
        own = knob.values[knob.values.index(value)] if knob and value in knob.values else value
        text = json.dumps([name, own]).encode()
        self._texts[name, value] = text
        return text
