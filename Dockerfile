# The router as an image: `lambdo-router run /etc/lambdo/routes.yaml`, as a user that is not root.
#
#   docker build -t lambdo-router .
#   docker run -v "$PWD/routes.yaml:/etc/lambdo/routes.yaml:ro" --env-file router.env lambdo-router
#
# Everything is installed by hash from the two lock files, which `make lock` writes. What the final
# image gains over its base is one folder, /opt/lambdo; no shell, pip or compiler is needed there.
# docs/images.md: what is in it, how it is tried, and what else the arguments below are good for.

# Any image with Python 3.11 or newer as `python3`, with pip and venv. The digest is that of the index
# of all platforms: the same base each time, until somebody renews it (docs/images.md).
ARG BASE_IMAGE=docker.io/library/python:3.13-slim-trixie@sha256:9d2e5553305c7c7b0097999bb17187c69b921ccd6bc9d40e4bb5ebe652c00285


FROM ${BASE_IMAGE} AS wheel

WORKDIR /source
COPY requirements-build.lock ./
RUN python3 -m venv --without-pip /opt/build \
 && python3 -m pip --python /opt/build/bin/python3 install \
      --no-cache-dir --no-deps --require-hashes --requirement requirements-build.lock
COPY . ./
RUN /opt/build/bin/hatchling build --target wheel --directory /wheel


FROM ${BASE_IMAGE} AS environment

WORKDIR /opt/lambdo
COPY requirements.lock /locks/
RUN python3 -m venv --without-pip . \
 && python3 -m pip --python bin/python3 install \
      --no-cache-dir --no-compile --no-deps --require-hashes --requirement /locks/requirements.lock
COPY --from=wheel /wheel /wheel
RUN python3 -m pip --python bin/python3 install \
      --no-cache-dir --no-compile --no-deps --no-index /wheel/*.whl

# botocore describes each of some 400 services of AWS in a folder of its own, together more than all
# the rest. Kept are those that the router calls (sqs, s3) and those that botocore itself may call
# for credentials. Then bytecode is made for what remains: a user that is not root could not keep it.
RUN find lib/python3*/site-packages/botocore/data lib/python3*/site-packages/boto3/data \
      -mindepth 1 -maxdepth 1 -type d \
      ! -name s3 ! -name signin ! -name sqs ! -name sso ! -name sso-oidc ! -name sts \
      -exec rm -r {} + \
 && find lib/python3*/site-packages -mindepth 2 -maxdepth 2 -type d -name tests -exec rm -r {} + \
 && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash lib


FROM ${BASE_IMAGE}

ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="lambdo-router" \
      org.opencontainers.image.description="Turns events on Amazon SQS into Fly.io Machines, by a YAML file of routes" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

COPY --from=environment /opt/lambdo /opt/lambdo
ENV PATH="/opt/lambdo/bin:${PATH}" \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

# Put routes.yaml here, and the schemas beside it.
WORKDIR /etc/lambdo

# Nothing is owned by this user, and nothing needs to be: the root filesystem can be read-only.
ARG RUN_AS=10001:10001
USER ${RUN_AS}

# Machines report to this port; health and metrics are there too.
EXPOSE 9091
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --retries=3 \
  CMD ["lambdo-router", "status", "--check", "alive"]
ENTRYPOINT ["lambdo-router"]
CMD ["run", "/etc/lambdo/routes.yaml"]
