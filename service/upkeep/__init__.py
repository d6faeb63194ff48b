"""What keeps a service that runs for months: rows made again from what lies in the storage."""
