"""A vLLM server that the worker starts, watches, restarts and ends: ``MINDGLM_ENGINE=vllm``."""
