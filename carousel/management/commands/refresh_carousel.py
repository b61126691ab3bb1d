from carousel.services import refresh_carousel
from ops.commands import JobCommand


class Command(JobCommand):
    job = refresh_carousel
