from ops.commands import JobCommand
from revenue.services import clear_revenue_data


class Command(JobCommand):
    job = clear_revenue_data
    audited = ("deleted",)
