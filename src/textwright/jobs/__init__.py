"""Trainings as Jobs of the Hugging Face Hub: a request, a private repository, a run comes back.

A job is a container that runs one command. The repository has the text, a wheel where one is
needed, and `job.sh`, which runs `textwright train` or `sweep` and pushes what comes of it now and
then.
"""
