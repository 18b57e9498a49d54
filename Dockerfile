# One image for the web server, the workers and the listener; compose.yaml shows all three.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PROFILE=production
WORKDIR /app

COPY requirements.txt .
RUN pip install --no-cache-dir --require-hashes -r requirements.txt

COPY manage.py .
COPY config config
COPY integrations integrations
COPY mappings mappings
COPY sync sync
COPY templates templates
COPY static static
COPY locale locale

# The values are for this step only: nothing of them is used at run time.
RUN SECRET_KEY=build FIELD_ENCRYPTION_KEYS=build DATABASE_URL=postgres://build/build \
    python manage.py collectstatic --no-input --verbosity 0 \
    && useradd --system --no-create-home ledgerbridge
USER ledgerbridge

EXPOSE 8000
# As the proxy would ask: with our own host name, over https. Workers switch this check off.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["python", "-c", "import http.client, os; c = http.client.HTTPConnection('127.0.0.1', 8000, timeout=3); c.request('GET', '/livez', headers={'Host': os.environ['ALLOWED_HOSTS'].split(',')[0], 'X-Forwarded-Proto': 'https'}); raise SystemExit(c.getresponse().status != 200)"]

# The access log leaves queries out: those of the OAuth callback hold codes.
CMD ["gunicorn", "config.wsgi", "--bind=0.0.0.0:8000", "--workers=2", "--threads=8", "--worker-tmp-dir=/dev/shm", "--access-logfile=-", "--access-logformat=%(t)s %(m)s %(U)s %(s)s %(L)s"]
