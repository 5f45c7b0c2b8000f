select *
from {{ published("copy_candidates") }}
