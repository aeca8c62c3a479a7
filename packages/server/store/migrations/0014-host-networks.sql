-- 0014: how each host makes guest networks, or why it cannot.

-- Filled in when the host is next asked, at the start.
alter table host add column networks text not null default 'unknown';
