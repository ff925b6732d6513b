"""What a person with a board can carry over: the vendor's options, pools, and rewritten graphs."""

from npu_tune.targets.neural_art.deploy.files import write_deployable
from npu_tune.targets.neural_art.deploy.space import DeployableSpace, vendor_options

__all__ = ["DeployableSpace", "vendor_options", "write_deployable"]
