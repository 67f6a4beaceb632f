# Alarms as a user of Terraform writes them; the test plans them.
terraform {
  required_providers { aws = { source = "hashicorp/aws" } }
}
provider "aws" {
  region                      = "eu-west-1"
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  skip_region_validation      = true
}
variable "threshold" { default = 80 }
resource "aws_sns_topic" "pages" { name = "pages" }
resource "aws_instance" "web" {
  ami           = "ami-0"
  instance_type = "t3.micro"
}
resource "aws_cloudwatch_metric_alarm" "cpu" {
  alarm_name          = "cpu-high"
  comparison_operator = "GreaterThanThreshold"
  evaluation_periods  = 2
  metric_name         = "CPUUtilization"
  namespace           = "AWS/EC2"
  period              = 60
  statistic           = "Average"
  threshold           = var.threshold
  alarm_actions       = [aws_sns_topic.pages.arn]
  dimensions          = { InstanceId = aws_instance.web.id }
}
module "m" {
  source = "./module"
  topic  = aws_sns_topic.pages.arn
}
resource "aws_cloudwatch_composite_alarm" "all" {
  alarm_name    = "all"
  alarm_rule    = "ALARM(${aws_cloudwatch_metric_alarm.cpu.alarm_name}) OR ALARM(${module.m.name})"
  alarm_actions = [aws_sns_topic.pages.arn]
}
