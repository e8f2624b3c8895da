"""Amazon SageMaker, both ends: the launcher on a user's machine, and the containers it starts.

The launcher: `requests` has every request to AWS as plain data, from `settings`; begin there, then
`client` (boto3), `launch`, `monitor` and `results` for jobs, `endpoints` for hosting. In a
training container: `job`, on the folders of `container`; in a hosting one: `hosting`, an app of
`serving` with SageMaker's routes, and `handler` for AWS's own images. Nothing here trains or
generates itself, and only `client` and its callers need boto3.
"""
