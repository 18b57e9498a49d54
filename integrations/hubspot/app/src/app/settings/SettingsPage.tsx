import { hubspot } from '@hubspot/ui-extensions';
import React from 'react';
import { SettingsView } from '@ledgerbridge/shared';
import type { SettingsViewProps } from '@ledgerbridge/shared';

/** Which flows run, and signing in again to both systems. */
export const SettingsPage = (props: SettingsViewProps) => <SettingsView {...props} />;

hubspot.extend<'settings'>(({ context, actions }) => <SettingsPage context={context} actions={actions} />);
