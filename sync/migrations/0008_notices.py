"""Notices: what is wrong, who wants to hear of it how, and the messages about it."""

import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import integrations.fields


class Migration(migrations.Migration):
    dependencies = [("sync", "0007_daily_counts")]

    operations = [
        migrations.CreateModel(
            name='ChatChannel',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('url', integrations.fields.EncryptedTextField(blank=True, editable=False, verbose_name='webhook address')),
                ('host', models.CharField(blank=True, max_length=200, verbose_name='host')),
                ('language', models.CharField(default='en', max_length=10, verbose_name='language')),
                ('sent_at', models.DateTimeField(blank=True, null=True, verbose_name='last message')),
                ('error', models.CharField(blank=True, max_length=300, verbose_name='last error')),
                ('error_at', models.DateTimeField(blank=True, null=True, verbose_name='time of the error')),
                ('organization', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='chat_channel', to='integrations.organization', verbose_name='organization')),
            ],
            options={
                'verbose_name': 'chat channel',
                'verbose_name_plural': 'chat channels',
                'default_permissions': ('change',),
            },
        ),
        migrations.CreateModel(
            name='Notice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=40, verbose_name='kind')),
                ('level', models.CharField(choices=[('immediate', 'At once'), ('digest', 'In the digest')], max_length=10, verbose_name='told')),
                ('key', models.CharField(max_length=120, verbose_name='about')),
                ('params', models.JSONField(blank=True, default=dict, verbose_name='particulars')),
                ('url', models.CharField(blank=True, max_length=300, verbose_name='address')),
                ('opened_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='since')),
                ('changed_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='last changed')),
                ('healed_at', models.DateTimeField(blank=True, null=True, verbose_name='healed')),
                ('announced_at', models.DateTimeField(blank=True, null=True, verbose_name='messages made')),
                ('closed_at', models.DateTimeField(blank=True, null=True, verbose_name='resolution told')),
                ('integration', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='notices', to='integrations.integration', verbose_name='integration')),
                ('organization', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='notices', to='integrations.organization', verbose_name='organization')),
            ],
            options={
                'verbose_name': 'notice',
                'verbose_name_plural': 'notices',
                'ordering': ['-pk'],
                'permissions': [('requeue_notice', 'Can set stuck work going again')],
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='NoticeDelivery',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('channel', models.CharField(choices=[('email', 'E-mail'), ('chat', 'Chat')], max_length=10, verbose_name='channel')),
                ('phase', models.CharField(choices=[('opened', 'Something is wrong'), ('resolved', 'It is resolved'), ('digest', 'Digest')], max_length=10, verbose_name='phase')),
                ('dedupe', models.CharField(max_length=120, unique=True)),
                ('state', models.CharField(choices=[('waiting', 'Waiting'), ('sent', 'Sent'), ('dropped', 'Not needed any more'), ('failed', 'Given up')], default='waiting', max_length=10, verbose_name='state')),
                ('attempts', models.PositiveSmallIntegerField(default=0, verbose_name='attempts')),
                ('claim', models.UUIDField(null=True)),
                ('due_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='due')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='made')),
                ('done_at', models.DateTimeField(null=True, verbose_name='done')),
                ('error', models.CharField(blank=True, max_length=200, verbose_name='error')),
                ('notice', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='sync.notice')),
                ('organization', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='integrations.organization')),
                ('user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'message',
                'verbose_name_plural': 'messages',
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='NoticePreference',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('immediate', models.JSONField(blank=True, default=list, verbose_name='at once')),
                ('digest', models.CharField(choices=[('off', 'No digest'), ('daily', 'Every day'), ('weekly', 'Every Monday')], default='daily', max_length=10, verbose_name='digest')),
                ('hour', models.PositiveSmallIntegerField(default=7, verbose_name='hour of the digest')),
                ('language', models.CharField(blank=True, max_length=10, verbose_name='language')),
                ('updated_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='changed')),
                ('organization', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='integrations.organization', verbose_name='organization')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='person')),
            ],
            options={
                'verbose_name': 'notice preference',
                'verbose_name_plural': 'notice preferences',
                'default_permissions': (),
            },
        ),
        migrations.AddIndex(
            model_name='notice',
            index=models.Index(fields=['organization', '-id'], name='notice_by_organization'),
        ),
        migrations.AddIndex(
            model_name='notice',
            index=models.Index(condition=models.Q(('closed_at', None)), fields=['kind', 'key'], name='notice_open'),
        ),
        migrations.AddIndex(
            model_name='notice',
            index=models.Index(condition=models.Q(('announced_at', None), ('closed_at', None)), fields=['id'], name='notice_to_announce'),
        ),
        migrations.AddIndex(
            model_name='notice',
            index=models.Index(condition=models.Q(('closed_at', None), ('healed_at__isnull', False)), fields=['healed_at'], name='notice_to_close'),
        ),
        migrations.AddConstraint(
            model_name='notice',
            constraint=models.UniqueConstraint(condition=models.Q(('healed_at', None), ('organization__isnull', False)), fields=('organization', 'kind', 'key'), name='notice_one_open'),
        ),
        migrations.AddConstraint(
            model_name='notice',
            constraint=models.UniqueConstraint(condition=models.Q(('healed_at', None), ('organization', None)), fields=('kind', 'key'), name='notice_one_open_everywhere'),
        ),
        migrations.AddConstraint(
            model_name='notice',
            constraint=models.CheckConstraint(condition=models.Q(('level__in', ['immediate', 'digest'])), name='notice_level_known'),
        ),
        migrations.AddIndex(
            model_name='noticedelivery',
            index=models.Index(condition=models.Q(('state', 'waiting')), fields=['due_at'], name='notice_delivery_due'),
        ),
        migrations.AddIndex(
            model_name='noticedelivery',
            index=models.Index(condition=models.Q(('state', 'sent')), fields=['user', 'done_at'], name='notice_delivery_sent'),
        ),
        migrations.AddConstraint(
            model_name='noticedelivery',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['waiting', 'sent', 'dropped', 'failed'])), name='notice_delivery_state_known'),
        ),
        migrations.AddConstraint(
            model_name='noticedelivery',
            constraint=models.CheckConstraint(condition=models.Q(('notice__isnull', False), ('phase', 'digest'), _connector='OR'), name='notice_delivery_about_something'),
        ),
        migrations.AddConstraint(
            model_name='noticepreference',
            constraint=models.UniqueConstraint(condition=models.Q(('organization__isnull', False)), fields=('user', 'organization'), name='preference_once'),
        ),
        migrations.AddConstraint(
            model_name='noticepreference',
            constraint=models.UniqueConstraint(condition=models.Q(('organization', None)), fields=('user',), name='preference_once_everywhere'),
        ),
        migrations.AddConstraint(
            model_name='noticepreference',
            constraint=models.CheckConstraint(condition=models.Q(('hour__lte', 23)), name='preference_hour'),
        ),
        migrations.AddConstraint(
            model_name='noticepreference',
            constraint=models.CheckConstraint(condition=models.Q(('digest__in', ['off', 'daily', 'weekly'])), name='preference_digest_known'),
        ),
        migrations.AddConstraint(
            model_name='notice',
            constraint=models.CheckConstraint(condition=models.Q(('closed_at', None), ('healed_at__isnull', False), _connector='OR'), name='notice_closed_is_healed'),
        ),
    ]
