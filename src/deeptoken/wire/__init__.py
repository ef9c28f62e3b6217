"""What goes over the wire: structs and readers, no I/O."""
