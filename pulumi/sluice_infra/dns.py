"""A domain's zone, and a certificate that is proven by a record in it."""

import pulumi
from pulumi_aws import acm, route53

from sluice_infra.naming import Naming
from sluice_infra.settings import DnsSettings


class Dns(pulumi.ComponentResource):
    """Zone and certificate of a domain and of the hosts below it."""

    def __init__(
        self, naming: Naming, settings: DnsSettings, *, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("sluice:infra:Dns", naming.name("dns"), None, opts)
        within = pulumi.ResourceOptions(parent=self)
        self.domain = settings.domain
        self.name_servers: pulumi.Output[list[str]] | None = None
        self.zone_id: pulumi.Input[str]
        if settings.zone_id:
            self.zone_id = settings.zone_id
        else:
            zone = route53.Zone(
                naming.name("zone"), name=settings.domain, tags=naming.tags("zone"), opts=within
            )
            self.zone_id = zone.zone_id
            self.name_servers = zone.name_servers.apply(list)
        certificate = acm.Certificate(
            naming.name("certificate"),
            domain_name=settings.domain,
            subject_alternative_names=[f"*.{settings.domain}"],
            validation_method="DNS",
            tags=naming.tags("certificate"),
            opts=within,
        )
        # The domain and its wildcard are proven by one and the same record.
        proof = certificate.domain_validation_options[0]
        record = route53.Record(
            naming.name("proof"),
            zone_id=self.zone_id,
            name=proof.apply(lambda option: option.resource_record_name or ""),
            type=proof.apply(lambda option: option.resource_record_type or ""),
            records=[proof.apply(lambda option: option.resource_record_value or "")],
            ttl=300,
            allow_overwrite=True,
            opts=within,
        )
        self.certificate_arn = certificate.arn
        self.is_issued = settings.is_issued
        # Without delegation nobody sees the record, and the wait would end in an error.
        if self.is_issued:
            issued = acm.CertificateValidation(
                naming.name("certificate"),
                certificate_arn=certificate.arn,
                validation_record_fqdns=[record.fqdn],
                opts=within,
            )
            self.certificate_arn = issued.certificate_arn
        self.zone_arn = pulumi.Output.concat("arn:aws:route53:::hostedzone/", self.zone_id)
        self.register_outputs({"certificateArn": self.certificate_arn})
