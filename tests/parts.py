"""A stack with one of everything that the local AWS can do, for the tests of the local AWS
itself."""

import json
import time
from collections.abc import Callable
from typing import Any

from local.cloud import Cloud

STACK = "parts"

TEMPLATE = r"""
Transform: AWS::Serverless-2016-10-31
Globals:
  Function: {Runtime: python3.13, Handler: index.handler, Timeout: 1}
Resources:
  Jobs:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: jobs
      VisibilityTimeout: 1
      SqsManagedSseEnabled: true
      RedrivePolicy: {deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 2}
  Dead: {Type: AWS::SQS::Queue, Properties: {QueueName: dead}}
  Worker:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: worker
      InlineCode: |
        import json
        def handler(event, context):
            print(json.dumps(event))
            bodies = {record["messageId"]: json.loads(record["body"]) for record in event["Records"]}
            if "raise" in bodies.values():
                raise RuntimeError("as it was told")
            refused = [id for id, body in bodies.items() if body == "refuse"]
            return {"batchItemFailures": [{"itemIdentifier": id} for id in refused]}
      Events:
        Jobs:
          Type: SQS
          Properties: {Queue: !GetAtt Jobs.Arn, BatchSize: 1, FunctionResponseTypes: [ReportBatchItemFailures]}

  Heard: {Type: AWS::SQS::Queue, Properties: {QueueName: heard}}
  Deaf: {Type: AWS::SQS::Queue, Properties: {QueueName: deaf}}
  Mailbox: {Type: AWS::SQS::Queue, Properties: {QueueName: mailbox}}
  Open:
    Type: AWS::SQS::QueuePolicy
    Properties:
      Queues: [!Ref Heard, !Ref Mailbox]
      PolicyDocument:
        Statement:
          - Effect: Allow
            Principal: {Service: [events.amazonaws.com, sns.amazonaws.com]}
            Action: sqs:SendMessage
            Resource: "*"
            Condition: {StringEquals: {"aws:SourceAccount": !Ref AWS::AccountId}}
  Topic: {Type: AWS::SNS::Topic, Properties: {TopicName: news}}
  TopicOpen:
    Type: AWS::SNS::TopicPolicy
    Properties:
      Topics: [!Ref Topic]
      PolicyDocument:
        Statement:
          - {Effect: Allow, Principal: {Service: events.amazonaws.com}, Action: "sns:Publish", Resource: !Ref Topic}
  Mail:
    Type: AWS::SNS::Subscription
    Properties: {TopicArn: !Ref Topic, Protocol: email, Endpoint: operator@example.org}
  Post:
    Type: AWS::SNS::Subscription
    Properties: {TopicArn: !Ref Topic, Protocol: sqs, Endpoint: !GetAtt Mailbox.Arn}
  Rollouts:
    Type: AWS::Events::Rule
    Properties:
      EventPattern:
        source: [test.rollouts]
        detail-type: [Rollout ended, Rollout failed]
        detail: {status: [FAILED, ABORTED], target: {name: [{prefix: check}]}}
      Targets:
        - {Id: queue, Arn: !GetAtt Heard.Arn}
        - {Id: deaf, Arn: !GetAtt Deaf.Arn}
        - {Id: topic, Arn: !Ref Topic}

  Slow:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: slow
      Timeout: 5
      InlineCode: |
        import time
        def handler(event, context):
            print(f"began with {context.get_remaining_time_in_millis()}")
            if event.get("fail"):
                raise ValueError("as it was told")
            time.sleep(event.get("seconds", 0))
            print("went on to its end")
            return {"id": context.aws_request_id}
      EventInvokeConfig:
        MaximumRetryAttempts: 0
        DestinationConfig:
          OnFailure: {Type: SQS, Destination: !GetAtt Dead.Arn}
  Machine:
    Type: AWS::Serverless::StateMachine
    Properties:
      Name: machine
      Role: !GetAtt SlowRole.Arn
      Definition:
        StartAt: Run
        TimeoutSeconds: 3
        States:
          Run: {Type: Task, Resource: !GetAtt Slow.Arn, ResultPath: $.result, End: true}
  Ended: {Type: AWS::SQS::Queue, Properties: {QueueName: ended, SqsManagedSseEnabled: true}}
  EndedOpen:
    Type: AWS::SQS::QueuePolicy
    Properties:
      Queues: [!Ref Ended]
      PolicyDocument:
        Statement:
          - Effect: Allow
            Principal: {Service: events.amazonaws.com}
            Action: sqs:SendMessage
            Resource: !GetAtt Ended.Arn
            Condition: {ArnEquals: {"aws:SourceArn": !GetAtt Executions.Arn}}
  Executions:
    Type: AWS::Events::Rule
    Properties:
      EventPattern:
        source: [aws.states]
        detail-type: [Step Functions Execution Status Change]
        detail: {stateMachineArn: [!Ref Machine]}
      Targets: [{Id: queue, Arn: !GetAtt Ended.Arn}]
  Ticking:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: ticking
      InlineCode: "def handler(event, context): print(event['detail-type'], event['resources'])"
      Events:
        Tick: {Type: Schedule, Properties: {Schedule: rate(15 minutes), Name: tick}}
  Filling:
    Type: AWS::CloudWatch::Alarm
    Properties:
      AlarmName: filling
      Namespace: AWS/SQS
      MetricName: ApproximateNumberOfMessagesVisible
      Dimensions: [{Name: QueueName, Value: !GetAtt Dead.QueueName}]
      Statistic: Maximum
      Period: 60
      EvaluationPeriods: 1
      Threshold: 0
      ComparisonOperator: GreaterThanThreshold
      AlarmActions: [!Ref Topic]
  Any:
    Type: AWS::CloudWatch::CompositeAlarm
    DependsOn: Filling
    Properties: {AlarmName: any, AlarmRule: ALARM("filling")}
Outputs:
  Machine: {Value: !Ref Machine}
  Alarm: {Value: !GetAtt Filling.Arn}
  Topic: {Value: !GetAtt Topic.TopicArn}
"""


class Parts:
    """The stack, and what its tests ask of it."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.client = cloud.client
        cloud.client("cloudformation").create_stack(StackName=STACK, TemplateBody=TEMPLATE)

    def output(self, name: str) -> str:
        (stack,) = self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        return {output["OutputKey"]: str(output["OutputValue"]) for output in stack["Outputs"]}[
            name
        ]

    def url(self, queue: str) -> str:
        return str(self.client("sqs").get_queue_url(QueueName=queue)["QueueUrl"])

    def send(self, queue: str, body: Any, **request: Any) -> str:
        """The message's id."""
        sent = self.client("sqs").send_message(
            QueueUrl=self.url(queue), MessageBody=json.dumps(body), **request
        )
        return str(sent["MessageId"])

    def received(self, queue: str, good: Callable[[Any], bool] = lambda _: True) -> dict[str, Any]:
        """The next message of the queue whose body is good, read and deleted, with all that are
        before it."""
        sqs, url, seen = self.client("sqs"), self.url(queue), []
        for _ in range(8):
            asked = {
                "QueueUrl": url,
                "WaitTimeSeconds": 1,
                "AttributeNames": ["All"],
                "MaxNumberOfMessages": 1,
            }
            for message in sqs.receive_message(**asked).get("Messages", []):
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                seen.append(message["Body"])
                if good(json.loads(message["Body"])):
                    return dict(message)
        raise AssertionError(f"not in the queue '{queue}': {seen}")

    def heard(self, queue: str, good: Callable[[Any], bool] = lambda _: True) -> Any:
        """The same, only its body."""
        return json.loads(self.received(queue, good)["Body"])

    def empty(self, queue: str) -> bool:
        counts = self.client("sqs").get_queue_attributes(
            QueueUrl=self.url(queue), AttributeNames=["All"]
        )["Attributes"]
        return not any(
            int(count) for name, count in counts.items() if name.startswith("ApproximateNumber")
        )

    def log(self, function: str) -> list[tuple[float, str]]:
        """What the function printed: when, and what."""
        logs = self.client("logs")
        try:
            events = logs.filter_log_events(logGroupName=f"/aws/lambda/{function}", limit=10_000)[
                "events"
            ]
        except logs.exceptions.ResourceNotFoundException:
            return []
        return sorted((event["timestamp"] / 1000, event["message"]) for event in events)

    def records(self, message: str) -> list[tuple[float, dict[str, Any]]]:
        """How the worker got the message with this id: when, and its record."""
        got = [
            (at, json.loads(line))
            for at, line in self.log("worker")
            if line.startswith('{"Records"')
        ]
        return [
            (at, record)
            for at, event in got
            for record in event["Records"]
            if record["messageId"] == message
        ]


def until(look: Callable[[], Any], good: Callable[[Any], Any] = bool) -> Any:
    """What it sees when that is good; within ten seconds."""
    for _ in range(200):
        if good(seen := look()):
            return seen
        time.sleep(0.05)
    raise AssertionError(f"it did not happen within ten seconds: {seen}")
