"""The management API, ``/api/...``: who may, who pays, what was used."""
