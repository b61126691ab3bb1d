from carousel.services import refresh_carousel
from fluxtracker.commands import JobCommand


class Command(JobCommand):
    job = refresh_carousel
