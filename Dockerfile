# docker build -t initaudit . && docker run --rm -v "$PWD:/models" initaudit check model.onnx
FROM python:3.12-slim
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY initaudit initaudit
COPY templates templates
RUN pip install --no-cache-dir . && useradd --create-home auditor
USER auditor
WORKDIR /models
ENTRYPOINT ["initaudit"]
