# PHP-FPM and fcgate in one container: takes the place of php:apache. `docker build -f docker/php.Dockerfile -t fcgate-php .`
# after `docker build -f docker/Dockerfile -t fcgate .`
ARG FCGATE_IMAGE=fcgate
ARG PHP_IMAGE=php:8.4-fpm

FROM ${FCGATE_IMAGE} AS fcgate

FROM ${PHP_IMAGE}
COPY --from=fcgate /usr/bin/fcgate /usr/local/bin/fcgate
COPY docker/php/fcgate.toml /etc/fcgate/fcgate.toml
# Read after the image's own pool files, whose `listen` it replaces.
COPY docker/php/zz-fcgate.conf /usr/local/etc/php-fpm.d/zz-fcgate.conf
ENV FCGATE_CONFIG=/etc/fcgate/fcgate.toml FCGATE_ADMIN=127.0.0.1:9180
WORKDIR /var/www/html
EXPOSE 80
# fcgate drains and then stops PHP; `docker stop` waits 10 s unless told otherwise.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=5s --retries=2 CMD ["/usr/local/bin/fcgate", "health"]
ENTRYPOINT ["/usr/local/bin/fcgate"]
CMD ["run"]
