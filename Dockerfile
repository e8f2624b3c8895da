# Serving alone: docker build -t textwright . && docker run -p 8000:8000 -v ./runs:/models textwright
FROM python:3.13-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev
COPY . /source
RUN python -m venv /opt/textwright \
 && /opt/textwright/bin/pip install --no-cache-dir -c /source/constraints.txt '/source[serve]'

FROM python:3.13-slim
RUN useradd --create-home --uid 10001 textwright && mkdir /models
COPY --from=build /opt/textwright /opt/textwright
USER textwright
ENV TEXTWRIGHT_HOST=0.0.0.0 TEXTWRIGHT_MODELS=/models PYTHONUNBUFFERED=1
EXPOSE 8000
HEALTHCHECK CMD ["/opt/textwright/bin/python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health')"]
ENTRYPOINT ["/opt/textwright/bin/textwright", "serve"]
