"""Trainings as Jobs of the Hugging Face Hub: a request, a private repository, a run comes back.

A job is a container that runs one command. The repository has the text, a wheel where one is
needed, and `job.sh`, which trains with `textwright train` and pushes the run into it now and then.
"""
