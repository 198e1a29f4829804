"""Whether the broker takes writes: a replica, a full or an unsaved one answers, and keeps nothing."""

from redis import Redis
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from dialogue.errors import EnvironmentFault

_KEY = "mindglm:probe"
_KEPT_SECONDS = 60


class BrokerUnavailable(EnvironmentFault):
    """The broker at MINDGLM_BROKER_URL does not answer."""


def check_writable(redis: Redis) -> None:
    """Raises `BrokerUnavailable`."""
    try:
        redis.set(_KEY, "1", ex=_KEPT_SECONDS)
    except NoPermissionError:  # of this key; whether the queue may be written is for its owner to say
        return
    except ResponseError as error:
        raise BrokerUnavailable(f"The broker refuses writes ({_code(error)}).") from error
    except RedisError as error:
        raise BrokerUnavailable from error


def _code(error: ResponseError) -> str:
    """READONLY, NOREPLICAS, MISCONF or OOM; redis-py strips the codes that it knows."""
    first, *_ = str(error).split(" ", 1)
    return first if first.isupper() else type(error).__name__
