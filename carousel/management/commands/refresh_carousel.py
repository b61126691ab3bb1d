from carousel.jobs import refresh_carousel
from ops.base_commands import JobCommand


class Command(JobCommand):
    job = refresh_carousel
