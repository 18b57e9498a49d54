"""Settings have a history: who changed what, from what to what. Rows that are there begin theirs as they are now."""

from __future__ import annotations

import django.core.validators
import django.db.models.deletion
import simple_history.models
import uuid
from django.conf import settings
from django.db import migrations, models

from integrations.audit_begin import begin_history


def begin(apps, schema_editor):
    begin_history(apps, schema_editor, "integrations", ["ConnectedAccount", "CustomSource", "Integration", "Membership", "Organization"])


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("integrations", "0008_readiness"),
    ]

    operations = [
        migrations.CreateModel(
            name='HistoricalConnectedAccount',
            fields=[
                ('id', models.UUIDField(db_index=True, default=uuid.uuid4, editable=False)),
                ('system', models.CharField(choices=[('fortnox', 'Fortnox'), ('hubspot', 'HubSpot'), ('salesforce', 'Salesforce')], max_length=20, verbose_name='system')),
                ('remote_id', models.CharField(blank=True, help_text='Fortnox tenant, HubSpot portal or Salesforce org; pinned at the first connect and never changed.', max_length=64, verbose_name='remote account id')),
                ('name', models.CharField(blank=True, help_text='As the remote account calls itself.', max_length=200, verbose_name='name')),
                ('environment', models.CharField(default='production', editable=False, max_length=20, verbose_name='environment')),
                ('api_url', models.CharField(editable=False, max_length=200, verbose_name='API address')),
                ('oauth_url', models.CharField(editable=False, max_length=200, verbose_name='sign-in address')),
                ('ui_url', models.CharField(blank=True, editable=False, max_length=200, verbose_name='address of its pages')),
                ('status', models.CharField(choices=[('new', 'Not connected yet'), ('connected', 'Connected'), ('needs_reconnect', 'Needs reconnecting'), ('disconnected', 'Disconnected')], default='new', editable=False, max_length=20, verbose_name='status')),
                ('grant', models.CharField(choices=[('authorization_code', 'Signed-in user (refresh token)'), ('client_credentials', 'Service account (no refresh token)'), ('jwt_bearer', 'Service account with a certificate (no refresh token)')], default='authorization_code', editable=False, max_length=30, verbose_name='grant')),
                ('client_id', models.CharField(blank=True, max_length=300, verbose_name='client id')),
                ('username', models.CharField(blank=True, help_text='Whom we work as.', max_length=200, verbose_name='user name')),
                ('history_id', models.AutoField(primary_key=True, serialize=False)),
                ('history_date', models.DateTimeField(db_index=True)),
                ('history_change_reason', models.CharField(max_length=100, null=True)),
                ('history_type', models.CharField(choices=[('+', 'Created'), ('~', 'Changed'), ('-', 'Deleted')], max_length=1)),
                ('history_user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('organization', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='integrations.organization', verbose_name='organization')),
            ],
            options={
                'verbose_name': 'historical connected account',
                'verbose_name_plural': 'historical connected accounts',
                'ordering': ('-history_date', '-history_id'),
                'get_latest_by': ('history_date', 'history_id'),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name='HistoricalCustomSource',
            fields=[
                ('id', models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name='ID')),
                ('name', models.CharField(max_length=40, validators=[django.core.validators.RegexValidator('\\A[a-z][a-z0-9_]*\\Z')], verbose_name='name in expressions')),
                ('label', models.CharField(max_length=100, verbose_name='label')),
                ('remote_object', models.CharField(help_text='As the remote system names it.', max_length=100, verbose_name='object')),
                ('line_object', models.CharField(blank=True, max_length=100, verbose_name='object of the lines')),
                ('line_relationship', models.CharField(blank=True, help_text='The child relationship that lists the lines. Empty: the object has none.', max_length=100, verbose_name='relationship to the lines')),
                ('parts', models.JSONField(blank=True, default=dict, verbose_name='records it points at')),
                ('history_id', models.AutoField(primary_key=True, serialize=False)),
                ('history_date', models.DateTimeField(db_index=True)),
                ('history_change_reason', models.CharField(max_length=100, null=True)),
                ('history_type', models.CharField(choices=[('+', 'Created'), ('~', 'Changed'), ('-', 'Deleted')], max_length=1)),
                ('account', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='integrations.connectedaccount', verbose_name='connected account')),
                ('history_user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'historical custom source',
                'verbose_name_plural': 'historical custom sources',
                'ordering': ('-history_date', '-history_id'),
                'get_latest_by': ('history_date', 'history_id'),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name='HistoricalIntegration',
            fields=[
                ('id', models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name='ID')),
                ('name', models.CharField(max_length=200, verbose_name='name')),
                ('mode', models.CharField(choices=[('off', 'Off'), ('observe', 'Observe (plans only)'), ('live', 'Live')], default='live', help_text='Off: nothing runs. Observe: runs only plan. Live: approved changes are delivered.', max_length=10, verbose_name='mode')),
                ('time_zone', models.CharField(default='Europe/Stockholm', max_length=50, verbose_name='time zone')),
                ('brake_records', models.PositiveIntegerField(default=50, help_text='A run that would change more records than this, and more than the share below, stops and asks.', verbose_name='brake: records')),
                ('brake_percent', models.PositiveSmallIntegerField(default=5, verbose_name='brake: percent')),
                ('history_id', models.AutoField(primary_key=True, serialize=False)),
                ('history_date', models.DateTimeField(db_index=True)),
                ('history_change_reason', models.CharField(max_length=100, null=True)),
                ('history_type', models.CharField(choices=[('+', 'Created'), ('~', 'Changed'), ('-', 'Deleted')], max_length=1)),
                ('crm_account', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='integrations.connectedaccount', verbose_name='CRM account')),
                ('history_user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('ledger_account', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='integrations.connectedaccount', verbose_name='Fortnox company')),
                ('organization', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='integrations.organization', verbose_name='organization')),
            ],
            options={
                'verbose_name': 'historical integration',
                'verbose_name_plural': 'historical integrations',
                'ordering': ('-history_date', '-history_id'),
                'get_latest_by': ('history_date', 'history_id'),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name='HistoricalMembership',
            fields=[
                ('id', models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name='ID')),
                ('role', models.CharField(choices=[('viewer', 'Viewer'), ('support', 'Support'), ('consultant', 'Consultant'), ('accountant', 'Accountant'), ('owner', 'Owner')], default='consultant', max_length=20, verbose_name='role')),
                ('history_id', models.AutoField(primary_key=True, serialize=False)),
                ('history_date', models.DateTimeField(db_index=True)),
                ('history_change_reason', models.CharField(max_length=100, null=True)),
                ('history_type', models.CharField(choices=[('+', 'Created'), ('~', 'Changed'), ('-', 'Deleted')], max_length=1)),
                ('history_user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('organization', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='integrations.organization', verbose_name='organization')),
                ('user', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='user')),
            ],
            options={
                'verbose_name': 'historical membership',
                'verbose_name_plural': 'historical memberships',
                'ordering': ('-history_date', '-history_id'),
                'get_latest_by': ('history_date', 'history_id'),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name='HistoricalOrganization',
            fields=[
                ('id', models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name='ID')),
                ('name', models.CharField(db_index=True, max_length=200, verbose_name='name')),
                ('organisation_number', models.CharField(blank=True, max_length=20, verbose_name='organisation number')),
                ('history_id', models.AutoField(primary_key=True, serialize=False)),
                ('history_date', models.DateTimeField(db_index=True)),
                ('history_change_reason', models.CharField(max_length=100, null=True)),
                ('history_type', models.CharField(choices=[('+', 'Created'), ('~', 'Changed'), ('-', 'Deleted')], max_length=1)),
                ('history_user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'historical organization',
                'verbose_name_plural': 'historical organizations',
                'ordering': ('-history_date', '-history_id'),
                'get_latest_by': ('history_date', 'history_id'),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.RunPython(begin, migrations.RunPython.noop),
    ]
