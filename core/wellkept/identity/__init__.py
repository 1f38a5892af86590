"""Identity: the evidence by which vendors' records are one customer, and what people see of it."""
