# Serving alone:     docker build -t textwright . && docker run -p 8000:8000 -v ./runs:/models textwright
# Amazon SageMaker:  docker build -t textwright-sagemaker --target sagemaker .     runs train, and serve
FROM python:3.13-slim AS source
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/*
COPY . /source
RUN python -m venv /opt/textwright \
 && /opt/textwright/bin/pip wheel --no-cache-dir --no-deps -w /wheels /source

FROM source AS whole
# Where torch is looked for, too: PyTorch's page of builds for processors, or for a version of CUDA
ARG PIP_EXTRA_INDEX_URL
RUN /opt/textwright/bin/pip install --no-cache-dir -c /source/constraints.txt \
    "$(echo /wheels/*.whl)[train,documents,serve]"

# SageMaker's own folders below /opt/ml belong to root, and training writes there: so does this
FROM python:3.13-slim AS sagemaker
COPY --from=whole /opt/textwright /opt/textwright
ENV PYTHONUNBUFFERED=1
EXPOSE 8080
ENTRYPOINT ["/opt/textwright/bin/textwright", "sagemaker-entry"]

FROM source AS served
RUN /opt/textwright/bin/pip install --no-cache-dir -c /source/constraints.txt \
    "$(echo /wheels/*.whl)[serve]"

FROM python:3.13-slim
RUN useradd --create-home --uid 10001 textwright && mkdir /models
COPY --from=served /opt/textwright /opt/textwright
USER 10001
ENV TEXTWRIGHT_HOST=0.0.0.0 TEXTWRIGHT_MODELS=/models PYTHONUNBUFFERED=1
EXPOSE 8000
HEALTHCHECK CMD ["/opt/textwright/bin/python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health')"]
ENTRYPOINT ["/opt/textwright/bin/textwright", "serve"]
