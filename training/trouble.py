"""What is foreseen in training; `mindglm train` prints it as one line."""


class TrainingTrouble(Exception):
    """Training cannot go on as asked; the message says what is wrong and what to do."""
