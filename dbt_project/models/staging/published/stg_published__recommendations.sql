select *
from {{ published("recommendations") }}
