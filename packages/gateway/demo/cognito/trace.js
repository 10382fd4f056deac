/** The way from the groups of the user pool to the application's roles and the role of IAM. */

import { $, facts } from '/shared/ui.js'

/** The role of IAM is not known to the page before AWS says whom it saw. */
export function showTrace({ user, roles }) {
  const draw = (roleArn) =>
    $('#trace').replaceChildren(
      facts([
        ['User name', user.username],
        ['Groups', user.groups?.join(', ') || 'none'],
        ['Roles', roles.join(', ') || 'none'],
        ['IAM', roleArn ?? 'not asked yet: call AWS'],
      ]),
    )
  draw()
  return { showRole: draw }
}
