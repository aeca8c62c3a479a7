-- A service offering's rate is that of its machines' default NICs.
alter table service_offering
  add column network_rate integer check (network_rate > 0);
