import type { DevelopmentUser } from '../provider-users.ts'
import { groupsFromAttribute } from './groups-trigger.ts'
import type { AwsRole } from './identity-pool.ts'
import type { PoolGroup, PoolUser } from './pool-settings.ts'
import type { NativeUser } from './pool-users.ts'

/** Who works at the Lyric, and what the user pool and IAM make of them. No passwords at Okta and Salesforce: one click. */
export const oktaUsers = [
  { sub: 'nora', name: 'Nora Vance', email: 'nora@lyric.example', groups: ['managers', 'staff'] },
  { sub: 'theo', name: 'Theo Marsh', email: 'theo@lyric.example', groups: ['staff'] },
] as const satisfies readonly DevelopmentUser[]

/** Salesforce calls its users by addresses, and tells no groups. */
export const salesforceUsers = [
  {
    sub: 'https://login.salesforce.com/id/00D000000000001/005000000000001',
    name: 'Paula Stern',
    email: 'paula@agency.example',
    groups: [],
  },
] as const satisfies readonly DevelopmentUser[]

/** Of the user pool itself: the password is for trying out how one is changed. */
export const poolUser = {
  username: 'ines',
  password: 'Curtain-Up-1',
  attributes: { email: 'ines@lyric.example', email_verified: 'true', name: 'Ines Duarte' },
  groups: ['staff'],
} as const satisfies NativeUser

const roleArn = (name: string) => `arn:aws:iam::123456789012:role/${name}`
export const iam = {
  managers: roleArn('LyricManagers'),
  staff: roleArn('LyricStaff'),
  partners: roleArn('LyricPartners'),
} as const

export const awsRoles: readonly AwsRole[] = Object.values(iam).map((arn) => ({ arn }))

/** The lowest precedence decides which role a user with several groups gets. */
export const poolGroups: readonly PoolGroup[] = [
  { name: 'managers', precedence: 1, roleArn: iam.managers },
  { name: 'staff', precedence: 10, roleArn: iam.staff },
  { name: 'partners', precedence: 20, roleArn: iam.partners },
]

/** Groups of Okta count as they are; whoever comes from Salesforce is a partner. */
export function groupsOf(user: PoolUser): string[] {
  const own = groupsFromAttribute(user)
  return user.identity?.providerName === 'Salesforce' ? [...own, 'partners'] : own
}

/** As in coatcheck.yaml. */
export const roleRules = [
  { claim: 'groups', equals: 'managers', grant: ['admin'] },
  { claim: 'groups', equals: 'staff', grant: ['staff'] },
  { claim: 'groups', equals: 'partners', grant: ['partner'] },
]

/** For the welcome page and the terminal. */
export const people = [
  { name: 'Nora Vance', with: 'Okta', email: 'nora@lyric.example', roles: ['admin', 'staff'] },
  { name: 'Theo Marsh', with: 'Okta', email: 'theo@lyric.example', roles: ['staff'] },
  { name: 'Paula Stern', with: 'Salesforce', email: 'paula@agency.example', roles: ['partner'] },
  { name: 'Ines Duarte', with: 'the user pool', username: poolUser.username, roles: ['staff'] },
] as const
