from ops.base_commands import JobCommand
from revenue.jobs import clear_revenue_data


class Command(JobCommand):
    job = clear_revenue_data
    audited = ("deleted",)
