import { Alert, Button, Flex, Text } from '@hubspot/ui-extensions';
import React from 'react';
import type { Failure } from './connection';
import type { Texts } from './messages';

interface Props {
  failure: Failure;
  texts: Texts;
  onRetry: () => void;
}

/** What is wrong, what to do, and the button that does it; the only way a failed call shows. */
export const FailureNotice = ({ failure, texts, onRetry }: Props) => (
  <Flex direction="column" gap="small">
    <Alert title={texts.failed} variant="error">
      <Text>{failure.message}</Text>
      {failure.remedy === undefined ? null : <Text>{failure.remedy}</Text>}
    </Alert>
    <Button size="sm" onClick={onRetry}>
      {texts.retry}
    </Button>
  </Flex>
);
