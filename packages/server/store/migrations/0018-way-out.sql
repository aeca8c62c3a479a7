-- 0018: the offering of networks with a way out.

insert into network_offering (id, name, display_text, guest_ip_type, is_default, source_nat)
select gen_random_uuid(), 'DefaultIsolatedNetworkOfferingWithSourceNatService',
  'A network of one account, whose machines reach each other and what is past the host; their SSH forwarded to ports of the host',
  'Isolated', true, true
where exists (select from zone); -- otherwise the first start makes it
