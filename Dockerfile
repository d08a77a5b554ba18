# sdq-fpga with everything that it needs but Vivado, for an ordinary user:
#
#   docker build -t sdq-fpga .
#   docker run --rm -v "$PWD:/project" sdq-fpga build --board zcu104
#
# Bitstreams need Vivado, mounted from the host, never in the image (see README.md).

# Debian's own image, at one digest; --build-arg BASE=... takes another Debian 12.
ARG BASE=debian:bookworm-slim@sha256:96e378d7e6531ac9a15ad505478fcc2e69f371b10f5cdf87857c4b8188404716

# ---- Python to run with, a C++ compiler for the simulations ----
FROM ${BASE} AS system
# Debian's image names, in comments, the archive snapshot that it was made from: taken instead of
# the archive of today, it pins every system package together with the base.
RUN set -eu; \
    for sources in /etc/apt/sources.list.d/*.sources; do \
        [ -f "$sources" ] || continue; \
        awk '/^# http/ {at = $2; next} /^URIs:/ && at {print "URIs: " at; at = ""; next} {print}' \
            "$sources" > "$sources.pinned"; \
        mv "$sources.pinned" "$sources"; \
    done; \
    apt-get -o Acquire::Check-Valid-Until=false -o Acquire::Retries=5 update; \
    DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=5 install --yes --no-install-recommends \
        g++ python3 python3-venv; \
    rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log

# ---- the Python packages of the lock files, and this one ----
FROM system AS packages
WORKDIR /source
COPY requirements.lock requirements-no-deps.lock ./
RUN python3 -m venv /opt/sdq-fpga \
    && /opt/sdq-fpga/bin/pip install --no-cache-dir -r requirements.lock \
    && /opt/sdq-fpga/bin/pip install --no-cache-dir --no-deps -r requirements-no-deps.lock
# What the wheels have for their own developers only, an eighth of the image.
RUN cd /opt/sdq-fpga/lib/python3*/site-packages && rm -rf cbcbox/cbc_dist_debug* torch/test
COPY . .
RUN /opt/sdq-fpga/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

# ---- what runs ----
FROM system
COPY --from=packages /opt/sdq-fpga /opt/sdq-fpga
RUN useradd --create-home --uid 1000 sdq && install --directory --owner=sdq /project
ENV PATH=/opt/sdq-fpga/bin:$PATH
USER sdq
WORKDIR /project
# Compiles the timing model once, not in every container.
RUN sdq-fpga simulate --board zcu104 > /dev/null
ENTRYPOINT ["sdq-fpga"]
