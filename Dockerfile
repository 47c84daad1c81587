FROM python:3.13-slim
WORKDIR /srv/flexgate
COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes -r requirements.lock
COPY manage.py pyproject.toml ./
COPY tenants tenants
COPY gateway gateway
COPY billing billing
RUN useradd --system --home /srv/flexgate flexgate && mkdir .data && chown flexgate .data
USER flexgate
EXPOSE 8000
CMD ["python", "manage.py", "serve", "--host", "0.0.0.0", "--port", "8000"]
