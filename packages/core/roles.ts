// The three roles that there are. Their ids are the same in every installation, so that scripts can keep them.

export const roles = [
  {
    id: '7b3d6a8e-1c52-4f0e-9a27-000000000001',
    type: 'Admin',
    name: 'Root Admin',
    description: 'Reaches everything',
    accountType: 1,
  },
  {
    id: '7b3d6a8e-1c52-4f0e-9a27-000000000002',
    type: 'DomainAdmin',
    name: 'Domain Admin',
    description: 'Reaches what accounts of the own domain and of domains below it own, and manages these accounts',
    accountType: 2,
  },
  {
    id: '7b3d6a8e-1c52-4f0e-9a27-000000000003',
    type: 'User',
    name: 'User',
    description: 'Reaches what the own account owns',
    accountType: 0,
  },
] as const

export type Role = (typeof roles)[number]

export function roleOf(type: Role['type']): Role {
  return roles.find(role => role.type === type) as Role
}
