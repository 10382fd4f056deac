import { createMemoryStore } from '../../src/stores/memory.ts'
import { describeSessionStore } from './session-store.ts'
import { describeUserStore } from './user-store.ts'

describeSessionStore('memory', createMemoryStore)
describeUserStore('memory', () => createMemoryStore({ now: Date.now }))
