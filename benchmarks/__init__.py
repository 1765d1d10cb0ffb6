"""How fast the bridge is: each file asks one thing."""

import warnings

# on import, the PostgreSQL of the tests looks for a per-user folder that bare machines do not have
warnings.filterwarnings("ignore", "XDG_RUNTIME_DIR is not set")
