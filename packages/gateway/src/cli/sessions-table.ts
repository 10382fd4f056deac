import type { DescribedSession } from '../session/all-sessions.ts'
import { type Columns, minute } from './table.ts'

export const sessionColumns: Columns<DescribedSession> = [
  { head: 'ID', of: ({ id }) => id },
  { head: 'USER', of: ({ user }) => user },
  { head: 'PROVIDER', of: ({ provider }) => provider },
  { head: 'SIGNED IN', of: ({ createdAt }) => minute(createdAt) },
  { head: 'LAST SEEN', of: ({ lastSeenAt }) => minute(lastSeenAt) },
  { head: 'ADDRESS', of: ({ address }) => address },
  { head: 'DEVICE', of: ({ device }) => device },
]
