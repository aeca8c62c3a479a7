-- 0015: every NIC has an address and a MAC of its own in its network.

alter table network drop column netmask; -- the CIDR says it
alter table network add column start_ip inet;
alter table network add column end_ip inet;
-- All networks so far hold machines that are each alone behind NAT, and there was one address for all. A machine that runs keeps
-- that until it is started again.
update network set cidr = '10.1.0.0/16', gateway = '10.1.0.1', start_ip = '10.1.0.10', end_ip = '10.1.255.254';
update zone set dns1 = '10.1.0.3' where dns1 = '10.0.2.3';
update zone set internal_dns1 = '10.1.0.3' where internal_dns1 = '10.0.2.3';
alter table network alter column cidr type cidr using cidr::cidr;
alter table network alter column gateway type inet using gateway::inet;
alter table network alter column start_ip set not null;
alter table network alter column end_ip set not null;
alter table network add check (gateway << cidr and start_ip << cidr and end_ip << cidr and start_ip <= end_ip);

alter table nic alter column ip_address type inet using ip_address::inet;
update nic set ip_address = start_ip + place - 1
from (select id, network_id, row_number() over (partition by network_id order by created, id) as place from nic) plan
join network on network.id = plan.network_id
where nic.id = plan.id;
alter table nic alter column ip_address set not null;
alter table nic drop constraint nic_mac_key;
alter table nic add unique (network_id, ip_address);
alter table nic add unique (network_id, mac);

-- The first address that no NIC of the network has, from `wish` on and then from the beginning; null when all are taken.
create function free_address(of_network uuid, wish inet) returns inet language plpgsql stable as $$
declare
  n network;
  free inet;
  taken inet;
begin
  select * into n from network where id = of_network;
  foreach free in array array[wish, n.start_ip] loop
    for taken in
      select ip_address from nic where network_id = n.id and ip_address >= free and ip_address <= n.end_ip order by ip_address
    loop
      if free = n.gateway then free := free + 1; end if;
      exit when taken <> free;
      free := free + 1;
    end loop;
    if free = n.gateway then free := free + 1; end if;
    if free <= n.end_ip then return free; end if;
  end loop;
  return null;
end $$;
