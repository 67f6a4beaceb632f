variable "topic" {}
resource "aws_cloudwatch_metric_alarm" "errors" {
  count               = 2
  alarm_name          = "error-rate-${count.index}"
  comparison_operator = "GreaterThanThreshold"
  evaluation_periods  = 1
  threshold           = 5
  alarm_actions       = [var.topic]
  metric_query {
    id          = "e"
    expression  = "errors / requests * 100"
    return_data = true
  }
  metric_query {
    id = "errors"
    metric {
      namespace   = "AWS/ApplicationELB"
      metric_name = "HTTPCode_Target_5XX_Count"
      period      = 60
      stat        = "Sum"
      unit        = "Seconds"
      dimensions  = { LoadBalancer = "app/web/0123456789abcdef" }
    }
  }
  metric_query {
    id = "requests"
    metric {
      namespace   = "AWS/ApplicationELB"
      metric_name = "RequestCount"
      period      = 60
      stat        = "Sum"
      dimensions  = { LoadBalancer = "app/web/0123456789abcdef" }
    }
  }
}
output "name" { value = aws_cloudwatch_metric_alarm.errors[0].alarm_name }
