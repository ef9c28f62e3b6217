"""Certificates for tests that speak TLS on this machine."""

import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from deeptoken import clock
from deeptoken.dial import verified_tls


class Certificate:
    """A certificate for localhost and model.test, of its own making or of an issuer's."""

    def __init__(self, folder: Path, issuer: "Certificate | None" = None) -> None:
        key = self._key = ec.generate_private_key(ec.SECP256R1())
        common = "issued" if issuer else "test"
        name = self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])
        by = issuer or self
        now = datetime.datetime.fromtimestamp(clock.wall_s(), datetime.UTC)
        hosts = [
            x509.DNSName("localhost"),
            x509.DNSName("model.test"),
            x509.IPAddress(ipaddress.ip_address("127.0.0.2")),
        ]
        certificate = (
            x509.CertificateBuilder(by._name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
            .sign(by._key, hashes.SHA256())
        )
        self.text = certificate.public_bytes(serialization.Encoding.PEM).decode()
        self.file = folder / "certificate.pem"
        """With its private key before it."""
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.file.write_bytes(private + self.text.encode())

    def server(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file)
        context.set_alpn_protocols(["h2", "http/1.1"])
        return context

    def client(self) -> ssl.SSLContext:
        context = verified_tls()
        context.load_verify_locations(cadata=self.text)
        return context
