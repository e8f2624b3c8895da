"""A script-mode entry point: what AWS's toolkits run in a container with textwright in it.

Give it as `entry_point` to the SageMaker SDK's version 2, or as `SourceCode(entry_script=...)` to
version 3. The hyper-parameters that they put onto its command line are read from where SageMaker
put them.
"""

import sys

from textwright.cli.app import main

sys.argv = ["textwright", "sagemaker-entry", "train"]
main()
