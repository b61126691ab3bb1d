from carousel.services import refresh_carousel
from fluxtracker.commands import JobCommand


class Command(JobCommand):
    help = "Read top images, best benchmarks, apps just deployed and apps that end next."
    job = refresh_carousel
