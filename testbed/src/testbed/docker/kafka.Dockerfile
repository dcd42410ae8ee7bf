# Stands in for the image of the same name where no registry can be reached.
ARG PYTHON_IMAGE=public.ecr.aws/docker/library/python:3.13-slim
FROM ${PYTHON_IMAGE}
ARG VERSION
LABEL org.opencontainers.image.title="apache/kafka (stand-in)" \
      org.opencontainers.image.description="Apache Kafka ${VERSION} in a home-made image that takes the official one's variables" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
RUN install -d -o 1000 -g 1000 /opt/kafka/config /var/lib/kafka/data
COPY java /opt/java
COPY jars /opt/kafka/libs
COPY kafka_start.py /etc/kafka/docker/start.py
USER 1000:1000
EXPOSE 9092
VOLUME ["/var/lib/kafka/data"]
CMD ["python3", "-I", "/etc/kafka/docker/start.py"]
