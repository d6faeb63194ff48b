"""The database: experiments, sweeps, their events; every change of state is one transaction."""
